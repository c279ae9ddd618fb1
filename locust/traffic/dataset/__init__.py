"""Traffic files: whatever a file is, the result is a dataset of records, checked and indexed."""
