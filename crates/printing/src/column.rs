//! What a table says about a column.

/// One column of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading as the server writes it; kubectl prints it in capitals.
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`.
    pub ty: &'static str,
    /// `name` for the column that identifies the object.
    pub format: &'static str,
    /// 0 prints always, 1 with `-o wide`.
    pub priority: u8,
}

/// A string.
pub(crate) const fn string(name: &'static str) -> Column {
    Column { name, ty: "string", format: "", priority: 0 }
}

/// A string that prints with `-o wide`.
pub(crate) const fn wide(name: &'static str) -> Column {
    Column { name, ty: "string", format: "", priority: 1 }
}

/// A whole number.
pub(crate) const fn integer(name: &'static str) -> Column {
    Column { name, ty: "integer", format: "", priority: 0 }
}

/// True or false.
pub(crate) const fn boolean(name: &'static str) -> Column {
    Column { name, ty: "boolean", format: "", priority: 0 }
}

/// A point in time.
pub(crate) const fn date(name: &'static str) -> Column {
    Column { name, ty: "date", format: "", priority: 0 }
}

/// A string that names objects.
pub(crate) const fn naming(name: &'static str) -> Column {
    Column { name, ty: "string", format: "name", priority: 0 }
}

/// The object's name.
pub(crate) const NAME: Column = naming("Name");

/// How long the object has been there.
pub(crate) const AGE: Column = string("Age");
