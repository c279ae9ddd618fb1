"""What takes a traffic file in: whatever it is, it ends as a dataset of the core, checked and indexed."""
