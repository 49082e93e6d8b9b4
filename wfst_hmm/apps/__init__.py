"""What users do with all of it, one public function each."""
