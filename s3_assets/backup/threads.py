"""Doing one thing for many items in threads, each with its own outcome, and leaving early without a backlog."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from s3_assets.errors import S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Item, Result | S3AssetsError]]:
    """Each item with what `work` made of it, or with the error of this package that it raised; as they are done.

    Any other error is raised. When the caller stops listening, what is under way is waited for, and no more is begun.

    Args:
        work: Called in threads.
        items: Begun in this order; few more than there are threads are taken ahead.
        threads: How many at the same time.
        stop: Called at the end, before what is under way is waited for.
    """
    left = iter(items)
    under_way: dict[Future[Result], Item] = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="backup") as pool:
        try:
            while True:
                while len(under_way) < 2 * threads and (item := next(left, _END)) is not _END:
                    under_way[pool.submit(work, item)] = item  # type: ignore[arg-type, assignment]  # not the end
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    item = under_way.pop(future)
                    error = future.exception()
                    if error is None:
                        yield item, future.result()
                    elif isinstance(error, S3AssetsError):
                        yield item, error
                    else:
                        raise error
        finally:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)


_END = object()
