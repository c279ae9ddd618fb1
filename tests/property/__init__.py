"""What holds whatever is done, in any order: looked for by Hypothesis."""
