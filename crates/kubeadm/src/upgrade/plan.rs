//! `kubeadm upgrade plan` and `diff`: what runs, what is installed, what a release brings.

use anyhow::bail;

use super::{
    Source, install,
    release::Release,
    running::{Component, components},
};
use crate::paths::Paths;

/// Runs `plan`.
pub(super) async fn run(paths: &Paths, version: Option<&str>, source: &Source) -> anyhow::Result<()> {
    let installed = Release::read(&paths.release())?;
    let offered = source.release.as_deref().map(install::read).transpose()?;
    if let Some(offered) = &offered {
        offered.follows(&installed)?;
    }
    if let Some(typed) = version
        && !offered.as_ref().unwrap_or(&installed).is_meant_by(typed)
    {
        bail!(
            "{typed} is not here: {} is; name its directory with --release",
            offered.as_ref().unwrap_or(&installed).name()
        );
    }
    print!("{}", text(&components().await?, &installed, offered.as_ref(), source));
    Ok(())
}

fn text(components: &[Component], installed: &Release, offered: Option<&Release>, source: &Source) -> String {
    let named = |unit: &str, sum: &Option<String>| match sum {
        None => "-".to_owned(),
        Some(sum) => {
            let releases = [Some(installed), offered];
            let known =
                releases.into_iter().flatten().find(|release| release.binaries.get(unit) == Some(sum));
            known.map_or_else(|| format!("another ({})", &sum[..12.min(sum.len())]), Release::name)
        }
    };
    let mut rows =
        vec![["COMPONENT".to_owned(), "RUNNING".to_owned(), "INSTALLED".to_owned(), "TARGET".to_owned()]];
    let target = offered.unwrap_or(installed);
    for component in components {
        rows.push([
            component.unit.to_owned(),
            named(component.unit, &component.running),
            named(component.unit, &component.installed),
            target.name(),
        ]);
    }
    let widths: Vec<usize> =
        (0..4).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    let behind = components.iter().any(|component| {
        component.running.is_some() && component.running.as_ref() != target.binaries.get(component.unit)
    });
    if !behind {
        return text + "\nEverything that runs here is of the target release.\n";
    }
    let release = source
        .release
        .as_ref()
        .map(|directory| format!(" --release {}", directory.display()))
        .unwrap_or_default();
    let on_control_plane = components.iter().any(|component| component.unit == "kube-apiserver");
    let command = if on_control_plane { format!("apply {}", target.name()) } else { "node".to_owned() };
    text + &format!(
        "\nYou can now apply the upgrade by executing the following command:\n\n\tkubeadm upgrade {command}{release}\n"
    )
}

/// Runs `diff`.
pub(super) fn diff(paths: &Paths, source: &Source) -> anyhow::Result<()> {
    let Some(directory) = &source.release else {
        bail!("name the directory of a release with --release");
    };
    print!("{}", differences(&Release::read(&paths.release())?, &install::read(directory)?));
    Ok(())
}

fn differences(installed: &Release, offered: &Release) -> String {
    let mut text = format!("--- {}\n+++ {}\n", installed.name(), offered.name());
    let names: std::collections::BTreeSet<&String> =
        installed.binaries.keys().chain(offered.binaries.keys()).collect();
    for name in names {
        let (old, new) = (installed.binaries.get(name), offered.binaries.get(name));
        if old == new {
            continue;
        }
        for (sign, sum) in [('-', old), ('+', new)] {
            if let Some(sum) = sum {
                text.push_str(&format!("{sign}{sum}  {name}\n"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn release(build: u64, sums: &[(&str, &str)]) -> Release {
        let binaries: serde_json::Map<_, _> =
            sums.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).into())).collect();
        serde_json::from_value(
            serde_json::json!({"version": "v1.36.0", "build": build, "binaries": binaries}),
        )
        .unwrap()
    }

    fn component(unit: &'static str, running: &str, installed: &str) -> Component {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Component { unit, running: some(running), installed: some(installed) }
    }

    #[test]
    fn the_plan_says_what_runs_and_what_to_type() {
        let installed = release(1, &[("kube-apiserver", "aa"), ("kubelet", "bb")]);
        let offered = release(2, &[("kube-apiserver", "cc"), ("kubelet", "bb")]);
        let components =
            [component("kube-apiserver", "aa", "aa"), component("kubelet", "0123456789abcdef", "bb")];
        let source = Source { release: Some("/media/release".into()) };
        expect![[r#"
            COMPONENT        RUNNING                  INSTALLED   TARGET
            kube-apiserver   v1.36.0-1                v1.36.0-1   v1.36.0-2
            kubelet          another (0123456789ab)   v1.36.0-1   v1.36.0-2

            You can now apply the upgrade by executing the following command:

            	kubeadm upgrade apply v1.36.0-2 --release /media/release
        "#]]
        .assert_eq(&text(&components, &installed, Some(&offered), &source));
        let settled = [component("kubelet", "bb", "bb"), component("podnet", "", "")];
        assert!(text(&settled, &installed, None, &Source::default()).ends_with("of the target release.\n"));
    }

    #[test]
    fn differences_are_by_program() {
        let installed = release(1, &[("kubectl", "aa"), ("kubelet", "bb")]);
        let offered = release(2, &[("kubectl", "aa"), ("kubelet", "cc"), ("podnet", "dd")]);
        assert_eq!(
            differences(&installed, &offered),
            "--- v1.36.0-1\n+++ v1.36.0-2\n-bb  kubelet\n+cc  kubelet\n+dd  podnet\n"
        );
    }
}
