"""What people order: import, forget, export, back up, examine; one function each, called by every interface."""
