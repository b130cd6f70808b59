//! Bringing nftables to the wanted table: whole at first and after a failure, otherwise only what changed.

use netrules::Error;
use netrules::nft::{Load, Table, changes, removal, whole};

use super::table::{BASE, TABLE};

/// What is believed to be in the kernel.
#[derive(Debug)]
enum Held {
    /// Anything.
    Unknown,
    /// No table.
    Nothing,
    /// This table.
    Table(Table),
}

/// Keeps the table, and remembers what it loaded.
#[derive(Debug)]
pub struct Syncer<L> {
    load: L,
    held: Held,
}

impl<L: Load> Syncer<L> {
    /// Makes a syncer that knows nothing of the kernel yet.
    pub fn new(load: L) -> Self {
        Syncer { load, held: Held::Unknown }
    }

    /// Brings the kernel to the table; tells whether something had to be written.
    pub async fn sync(&mut self, wanted: Option<Table>) -> Result<bool, Error> {
        let input = match (&self.held, &wanted) {
            (Held::Nothing, None) => String::new(),
            (Held::Unknown | Held::Table(_), None) => removal(TABLE),
            (Held::Unknown | Held::Nothing, Some(wanted)) => whole(wanted),
            (Held::Table(held), Some(wanted)) => changes(held, wanted),
        };
        if !input.is_empty()
            && let Err(error) = self.load.load(&input).await
        {
            let absent = matches!(&error, Error::Spawn { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
            // Where there is no nft, there is no table of it, and without policies none is needed.
            if !(absent && wanted.is_none()) {
                self.held = Held::Unknown;
                return Err(error);
            }
        }
        self.held = wanted.map_or(Held::Nothing, Held::Table);
        Ok(!input.is_empty())
    }

    /// Tells whether somebody removed the table; the next sync writes all of it then.
    pub async fn was_removed(&mut self) -> Result<bool, Error> {
        let removed = matches!(self.held, Held::Table(_)) && !self.load.has_chain(TABLE, BASE).await?;
        if removed {
            self.held = Held::Unknown;
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use netrules::nft::Chain;

    use super::*;

    #[derive(Default)]
    struct Recording {
        inputs: Mutex<Vec<String>>,
        fails: Mutex<Option<Error>>,
        present: bool,
    }

    impl Load for Recording {
        async fn load(&self, input: &str) -> Result<(), Error> {
            self.inputs.lock().unwrap().push(input.to_owned());
            self.fails.lock().unwrap().take().map_or(Ok(()), Err)
        }

        async fn has_chain(&self, _: &str, _: &str) -> Result<bool, Error> {
            Ok(self.present)
        }
    }

    impl Syncer<Recording> {
        fn last(&self) -> String {
            self.load.inputs.lock().unwrap().pop().unwrap_or_default()
        }
    }

    fn table(rule: &str) -> Option<Table> {
        let chain = Chain { hook: None, rules: vec![rule.to_owned()] };
        Some(Table { name: TABLE, chains: [("web".to_owned(), chain)].into(), ..Table::default() })
    }

    #[tokio::test]
    async fn the_first_is_whole_the_next_only_what_changed() {
        let mut syncer = Syncer::new(Recording::default());
        assert!(syncer.sync(table("drop")).await.unwrap());
        assert!(syncer.last().starts_with("add table inet podnet\ndelete table inet podnet\n"));
        assert!(!syncer.sync(table("drop")).await.unwrap());
        assert!(syncer.sync(table("accept")).await.unwrap());
        assert_eq!(syncer.last(), "flush chain inet podnet web\nadd rule inet podnet web accept\n");
        assert!(syncer.sync(None).await.unwrap());
        assert_eq!(syncer.last(), removal(TABLE));
        assert!(!syncer.sync(None).await.unwrap());
    }

    #[tokio::test]
    async fn everything_is_written_again_after_a_failure_and_after_a_removal() {
        let mut syncer = Syncer::new(Recording::default());
        syncer.sync(table("drop")).await.unwrap();
        let failed = Error::Failed { program: "nft".into(), code: Some(1), stderr: "busy".into() };
        *syncer.load.fails.lock().unwrap() = Some(failed);
        syncer.sync(table("accept")).await.unwrap_err();
        syncer.sync(table("accept")).await.unwrap();
        assert_eq!(syncer.last(), whole(&table("accept").unwrap()));
        assert!(syncer.was_removed().await.unwrap());
        syncer.sync(table("accept")).await.unwrap();
        assert_eq!(syncer.last(), whole(&table("accept").unwrap()));
    }

    #[tokio::test]
    async fn a_node_without_nft_is_well_as_long_as_nothing_is_to_be_enforced() {
        let absent = || Error::Spawn { program: "nft".into(), source: std::io::ErrorKind::NotFound.into() };
        let mut syncer = Syncer::new(Recording::default());
        *syncer.load.fails.lock().unwrap() = Some(absent());
        syncer.sync(None).await.unwrap();
        *syncer.load.fails.lock().unwrap() = Some(absent());
        syncer.sync(table("drop")).await.unwrap_err();
    }
}
