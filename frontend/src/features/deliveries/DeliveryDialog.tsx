import { useQuery } from "@tanstack/react-query";

import { type Callback, callbackQuery } from "../../api/callbacks";
import { ErrorState } from "../../components/ErrorState";
import { type Fact, Facts } from "../../components/Facts";
import { Skeleton } from "../../components/Skeleton";
import { CallbackBadge } from "../../components/StateBadge";
import { Dialog } from "../../components/ui/Dialog";
import { bytes } from "../../lib/format";
import { dateAndTime } from "../../lib/time";
import { readable, whatOf } from "./deliveries.model";

/** One delivery with its body. */
export function DeliveryDialog({ id, onClose }: { id: number; onClose: () => void }) {
  const callback = useQuery(callbackQuery(id));
  const { data, error } = callback;
  return (
    <Dialog title={`Delivery ${id}`} onClose={onClose}>
      {error && !data && <ErrorState error={error} onRetry={() => void callback.refetch()} />}
      {!data && !error && <Skeleton className="h-64" />}
      {data && (
        <div className="space-y-4">
          <Facts rows={factsOf(data)} />
          <section aria-label="Body">
            <h3 className="mb-1.5 text-sm font-semibold">{`Body, ${bytes(data.size_bytes)}`}</h3>
            <pre tabIndex={0} className="max-h-[45dvh] overflow-auto rounded-lg border border-line bg-ground p-3 text-xs">{readable(data.body)}</pre>
            {data.is_body_cut && <p className="mt-1.5 text-xs text-quiet">The rest is cut off here; the receiver got all of it.</p>}
          </section>
        </div>
      )}
    </Dialog>
  );
}

function factsOf(one: Callback): Fact[] {
  const rows: Fact[] = [
    ["State", <CallbackBadge key="state" state={one.state} />],
    ["Tells", whatOf(one)],
    ["To", <span key="to" className="wrap-anywhere">{one.url}</span>],
    ["Made", dateAndTime(one.created_at)],
    ["Delivered", one.delivered_at && dateAndTime(one.delivered_at)],
    ["Attempts", one.attempts],
    ["Last answer", one.last_status],
    ["Last error", one.last_error && <span key="error" className="text-bad">{one.last_error}</span>],
    ["Next try", one.next_at && dateAndTime(one.next_at)],
    ["Given up at", one.expires_at && dateAndTime(one.expires_at)],
    ["webhook-id", <code key="id" className="text-xs break-all">{one.message_id}</code>],
    ["Trace", one.trace_id && <code key="trace" className="text-xs break-all">{one.trace_id}</code>],
  ];
  return rows.filter(([, value]) => value !== null);
}
