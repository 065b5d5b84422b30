"""Everything someone may ask of Patron, one function each; every interface calls these and nothing deeper."""
