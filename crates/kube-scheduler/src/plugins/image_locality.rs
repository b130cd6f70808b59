//! ImageLocality: prefers nodes that have the pod's images, the more and the larger the better.

use crate::framework::{MAX_SCORE, Plugin, Scorer, as_they_are};
use crate::node::NodeInfo;
use crate::pod::Pod;
use crate::snapshot::Snapshot;

const MB: f64 = 1024.0 * 1024.0;
/// Below this size an image is pulled so fast that it does not matter (upstream's value).
const LEAST: f64 = 23.0 * MB;
/// Above this size, for each container, more does not matter either (upstream's value).
const MOST_EACH: f64 = 1000.0 * MB;

/// The plugin.
#[derive(Debug)]
pub struct ImageLocality;

/// The name under which nodes list an image.
fn full_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let tagged =
        if last.contains(':') || last.contains('@') { image.to_owned() } else { format!("{image}:latest") };
    let first = tagged.split('/').next().unwrap_or_default();
    if !tagged.contains('/') {
        format!("docker.io/library/{tagged}")
    } else if !first.contains('.') && !first.contains(':') && first != "localhost" {
        format!("docker.io/{tagged}")
    } else {
        tagged
    }
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn score<'a>(&'a self, pod: &'a Pod, snapshot: &'a Snapshot, _: &[&'a NodeInfo]) -> Option<Scorer<'a>> {
        let images: Vec<String> = pod.wants().images.iter().map(|image| full_name(image)).collect();
        if images.is_empty() || snapshot.around.image_nodes.is_empty() {
            return None;
        }
        let nodes = snapshot.nodes().len().max(1) as f64;
        let most = MOST_EACH * images.len() as f64;
        let score = move |info: &NodeInfo| {
            // An image that few nodes have counts less, or all its pods would pile up there.
            let sum: f64 = images
                .iter()
                .filter_map(|image| {
                    let size = *info.node.images.get(image.as_str())? as f64;
                    let having = *snapshot.around.image_nodes.get(image.as_str())? as f64;
                    Some(size * having / nodes)
                })
                .sum();
            Some(((sum.clamp(LEAST, most) - LEAST) * MAX_SCORE as f64 / (most - LEAST)) as i64)
        };
        Some(Scorer { score: Box::new(score), normalize: as_they_are })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_under_the_names_nodes_list() {
        for (image, expected) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("sysnet4admin/chk-hn", "docker.io/sysnet4admin/chk-hn:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
        ] {
            assert_eq!(full_name(image), expected);
        }
    }
}
