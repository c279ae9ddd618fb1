"""What a locustfile subclasses: users that send the records they are given, and report each outcome."""
