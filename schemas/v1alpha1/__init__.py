"""The first version of the contract. It has no models any more: a schema says what was valid, a function leads on."""
