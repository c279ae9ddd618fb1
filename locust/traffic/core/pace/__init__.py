"""The open model: when each record of a run is due, whatever the API's answers are like."""
