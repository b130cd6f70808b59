//! `/debug/pprof/`: where the process spends its processor time, in the form that `go tool pprof` reads.
//!
//! Upstream's other profiles are of Go's runtime (goroutines, its heap, its locks) and have no counterpart here.

mod encode;
mod sampler;
mod symbols;

use std::time::Duration;

use http::StatusCode;

use crate::pages::Page;

/// Where profiles are.
pub(crate) const PATH: &str = "/debug/pprof";
/// How long a profile is taken where the client does not say, as in Go.
const LASTS: u64 = 30;
/// No profile is taken for longer.
const LONGEST: u64 = 300;

const INDEX: &str = "<html><head><title>/debug/pprof/</title></head><body>/debug/pprof/<ul>\
<li><a href=\"cmdline\">cmdline</a>: the command line of this process</li>\
<li><a href=\"profile?seconds=30\">profile</a>: its processor time, for go tool pprof; seconds says for how long</li>\
</ul></body></html>\n";

/// Answers a path below [`PATH`].
pub(crate) async fn answer(path: &str, query: &str) -> Option<Page> {
    match path.strip_prefix(PATH)?.trim_start_matches('/') {
        "" => {
            Some(Page { status: StatusCode::OK, media_type: "text/html; charset=utf-8", body: INDEX.into() })
        }
        "cmdline" => {
            let arguments: Vec<String> =
                std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
            Some(Page::text(StatusCode::OK, arguments.join("\0")))
        }
        "profile" => Some(profile(seconds(query)).await),
        _ => None,
    }
}

fn seconds(query: &str) -> Duration {
    let asked = query.split('&').find_map(|part| part.strip_prefix("seconds=")?.parse().ok());
    Duration::from_secs(asked.filter(|seconds| *seconds > 0).unwrap_or(LASTS).min(LONGEST))
}

async fn profile(lasts: Duration) -> Page {
    let Some(sampling) = sampler::Sampling::begin(lasts) else {
        return Page::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Could not enable CPU profiling: cpu profiling already in use\n",
        );
    };
    tokio::time::sleep(lasts).await;
    let stacks = sampling.end();
    // The symbols of the whole program are read: not on a thread that others wait for.
    let encoded = tokio::task::spawn_blocking(move || {
        let symbols = symbols::Symbols::of_this_process();
        encode::profile(&stacks, symbols.as_ref(), sampler::PERIOD, lasts)
    });
    match encoded.await {
        Ok(body) => {
            Page { status: StatusCode::OK, media_type: "application/octet-stream", body: body.into() }
        }
        Err(error) => Page::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
