package helpers // want "the name helpers says nothing"
