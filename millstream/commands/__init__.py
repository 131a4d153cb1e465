"""What the operator types: `.venv/bin/flask COMMAND`, in the project's folder."""
