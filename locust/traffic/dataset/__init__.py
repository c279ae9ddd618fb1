"""Traffic files: a file of any supported format becomes a dataset of records, checked and indexed."""
