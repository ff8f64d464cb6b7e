"""Does a diagnosis say which encoder will serve best downstream?"""
