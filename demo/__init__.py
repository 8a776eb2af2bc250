"""The demo, the playground and the embedded AWS. All of it runs on this machine; none of it is deployed."""
