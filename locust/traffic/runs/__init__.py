"""What a run leaves on disk (state folder, journal, report), and how a stopped run is found and resumed."""
