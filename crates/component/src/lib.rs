//! What the main of every component needs: flags, logging, metrics, health, signals, supervised tasks, leader election.
