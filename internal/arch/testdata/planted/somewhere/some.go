package somewhere // want "somewhere has no room"
