"""What everything else stands on: errors, records, settings, YAML with lines, token estimates, random seeds."""
