"""Made-up traffic files by the million, most of them damaged: see __main__."""
