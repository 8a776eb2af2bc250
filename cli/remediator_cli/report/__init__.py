"""The report: what it says, as JSON and as one page of HTML."""
