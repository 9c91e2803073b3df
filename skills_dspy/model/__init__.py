"""From a step of the flow to a reply on the disk: prompts, requests, slots, the server."""
