server {}
