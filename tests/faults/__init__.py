"""What must survive when things break."""
