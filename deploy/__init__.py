"""What docker-compose.yaml and its image need beside the project's code."""
