//! Memory that starting needed and running does not.

use std::time::Duration;

/// After readiness, how long it takes until the first lists are worked off, and then until the others of a cluster that
/// starts have come.
pub const SETTLING: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(40)];

/// Has the allocator join what is freed with its neighbours at once, where it would put small pieces aside and go through
/// all of them whenever something large is asked for, which is several times in each request. Each thread keeps its few
/// pieces at hand all the same. To be called before there are threads.
pub fn join_what_is_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets a parameter of the allocator.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MXFAST, 0);
    }
}

/// Gives memory back to the kernel that was for the start: what lists, discovery and configuration took and the
/// allocator would keep, and the parts of the program that ran once. Whatever of the program is needed again comes
/// back with its next use, from the page cache.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only releases pages that hold no allocation, under the allocator's own locks.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
    for pages in program() {
        forget(pages);
    }
}

/// The pages of this program that nothing ever writes: instructions and constants. Those that were relocated at the
/// start belong to a writable segment and are not among them.
fn program() -> Vec<Pages> {
    let mut found = Vec::new();
    // SAFETY: the callback gets the vector below, which lives as long as the call, and reads headers that the linker
    // laid out and nothing changes.
    #[allow(unsafe_code)]
    unsafe {
        libc::dl_iterate_phdr(Some(note), (&raw mut found).cast());
    }
    found
}

/// A range of addresses on page boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pages {
    start: usize,
    length: usize,
}

#[allow(unsafe_code)]
unsafe extern "C" fn note(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    found: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the caller gives a valid description and, as `found`, what `program` passed.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Pages>>()) };
    // SAFETY: as many headers are there as the description says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let base = usize::try_from(info.dlpi_addr).unwrap_or(0);
    let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    found.extend(loaded.filter(|header| header.p_flags & libc::PF_W == 0).filter_map(|header| {
        let start = base.checked_add(usize::try_from(header.p_vaddr).ok()?)?;
        whole(start, usize::try_from(header.p_filesz).ok()?)
    }));
    // The first is the program itself; all that is linked is in it.
    1
}

/// The whole pages within a range: at its ends begins what may be written.
fn whole(start: usize, length: usize) -> Option<Pages> {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    let page = usize::try_from(page).ok()?;
    let (first, end) = (start.checked_next_multiple_of(page)?, start.checked_add(length)? / page * page);
    (first < end).then_some(Pages { start: first, length: end - first })
}

fn forget(pages: Pages) {
    // SAFETY: the pages are mapped from the program's file and never written: what is dropped is read again from there.
    #[allow(unsafe_code)]
    unsafe {
        libc::madvise(pages.start as *mut libc::c_void, pages.length, libc::MADV_DONTNEED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pages_are_dropped() {
        let page = 4096;
        assert_eq!(whole(page, 2 * page), Some(Pages { start: page, length: 2 * page }));
        assert_eq!(whole(page + 1, 2 * page), Some(Pages { start: 2 * page, length: page }));
        assert_eq!(whole(page, 2 * page + 1), Some(Pages { start: page, length: 2 * page }));
        assert_eq!(whole(page + 1, page), None);
        assert_eq!(whole(usize::MAX - 1, page), None);
    }

    #[test]
    fn this_function_is_in_the_program_and_is_there_again_after_it_was_dropped() {
        let here = this_function_is_in_the_program_and_is_there_again_after_it_was_dropped as fn() as usize;
        let program = program();
        let holds = |pages: &Pages| (pages.start..pages.start + pages.length).contains(&here);
        assert!(program.iter().any(holds), "{here:x} {program:x?}");
        let written = &raw const WRITTEN as usize;
        let holds = |pages: &Pages| (pages.start..pages.start + pages.length).contains(&written);
        assert!(!program.iter().any(holds), "{written:x} {program:x?}");
        give_back();
        assert_eq!(WRITTEN.load(std::sync::atomic::Ordering::Relaxed), 7);
    }

    static WRITTEN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(7);
}
