package postgres

// Waiting is the number of requests that no writer has taken yet.
func (s *Store) Waiting() int { return len(s.queue) }
