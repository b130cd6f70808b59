//! Writes the generated schema tables: `cargo xtask codegen`.

fn main() -> anyhow::Result<()> {
    match codegen::run()?.as_slice() {
        [] => println!("crates/schema/src/generated is current"),
        changed => println!("crates/schema/src/generated: wrote {}", changed.join(", ")),
    }
    Ok(())
}
