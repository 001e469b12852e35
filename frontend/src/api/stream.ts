/**
 * An event stream that does not give up. The browser resumes a broken one by itself, but closes it for
 * good when the answer is no stream (a proxy's 502 while the server restarts): then it is opened anew,
 * after the last event that was seen.
 */
interface Handlers {
  onEvent: (type: string, data: string) => void;
  onOpen: () => void;
  onLost: () => void;
}

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 15_000;

export const reopenDelay = (failures: number): number =>
  Math.min(FIRST_DELAY_MS * 2 ** Math.max(0, failures - 1), LONGEST_DELAY_MS);

/** Open the stream and listen to these types of events until the returned function is called. */
export function openStream(url: string, types: readonly string[], handlers: Handlers): () => void {
  let source: EventSource;
  let timer: number | undefined;
  let lastId = "";
  let failures = 0;

  const open = () => {
    source = new EventSource(lastId === "" ? url : `${url}?last_event_id=${encodeURIComponent(lastId)}`);
    for (const type of types) {
      source.addEventListener(type, (event: MessageEvent<string>) => {
        lastId = event.lastEventId;
        handlers.onEvent(type, event.data);
      });
    }
    source.onopen = () => {
      failures = 0;
      handlers.onOpen();
    };
    source.onerror = () => {
      handlers.onLost();
      if (source.readyState !== EventSource.CLOSED) return;
      failures += 1;
      timer = window.setTimeout(open, reopenDelay(failures));
    };
  };
  open();
  return () => {
    window.clearTimeout(timer);
    source.close();
  };
}
