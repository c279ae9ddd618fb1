"""What a run leaves on disk: its state folder, its journal, its report; and how a stopped run is resumed."""
