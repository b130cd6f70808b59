//! Strategies of the built-in kinds: defaulting, validation and what create, update and status may change.
