"""`dmp populate`: a town of invented patients, professionals and documents for a running record."""
