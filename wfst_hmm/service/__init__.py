"""Recognition over the network: a web service that listens and answers while somebody speaks."""
