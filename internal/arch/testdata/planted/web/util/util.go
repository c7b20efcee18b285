package util // want "the name util says nothing"
