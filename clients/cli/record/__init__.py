"""`dmp dossier`: the record at a terminal, for a professional or a patient."""
