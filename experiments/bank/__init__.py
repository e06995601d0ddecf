"""The bank of wrong code: mechanical mutants of scratch, named mistakes, and mistakes that show only sometimes."""
