# The handler: the part that people write.
handle() {
  tr a-z A-Z
}
