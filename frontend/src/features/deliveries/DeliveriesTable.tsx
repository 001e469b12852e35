import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { type Callback, callbackKeys, redeliver } from "../../api/callbacks";
import { type Column, DataTable } from "../../components/DataTable";
import { CallbackBadge } from "../../components/StateBadge";
import { Button } from "../../components/ui/Button";
import { useMayChange } from "../../components/useMayChange";
import { useNow } from "../../components/useNow";
import { timeOrDay, utc } from "../../lib/time";
import { canRedeliver, nextTry, whatOf } from "./deliveries.model";
import { DeliveryDialog } from "./DeliveryDialog";

interface Props {
  callbacks: Callback[];
  /** Left out where all are of one job. */
  hasJobs?: boolean;
}

/** Callbacks and where they stand; what is given up stands out. */
export function DeliveriesTable({ callbacks, hasJobs = true }: Props) {
  const now = useNow();
  const [opened, setOpened] = useState<number | null>(null);
  const columns: Column<Callback>[] = [
    {
      head: "Delivery",
      wide: true,
      className: "whitespace-nowrap",
      cell: (one) => (
        <button type="button" title={`Open its body. ${utc(one.created_at)}`} onClick={() => setOpened(one.id)} className="text-left font-medium text-accent underline-offset-2 hover:underline">
          {timeOrDay(one.created_at, now)}
        </button>
      ),
    },
    ...(hasJobs ? [{
      head: "Job",
      isEmpty: (one: Callback) => one.job_id === null,
      cell: (one: Callback) => one.job_id !== null && <Link to="/jobs/$id" params={{ id: String(one.job_id) }} className="hover:underline">{`#${one.job_id}`}</Link>,
    }] : []),
    { head: "Tells", wide: !hasJobs, className: "whitespace-nowrap", cell: whatOf },
    { head: "To", wide: true, className: "text-quiet", cell: (one) => <span className="wrap-anywhere md:block md:max-w-60 md:truncate" title={one.url}>{one.host}</span> },
    { head: "State", cell: (one) => <CallbackBadge state={one.state} /> },
    { head: "Attempts", isEmpty: (one) => one.attempts === 0, cell: (one) => one.attempts },
    { head: "Last answer", wide: true, isEmpty: (one) => answerOf(one) === null, cell: (one) => <Answer callback={one} /> },
    { head: "Next", className: "whitespace-nowrap text-quiet", isEmpty: (one) => one.next_at === null, cell: (one) => nextTry(one, now) ?? "–" },
    { head: "", wide: true, className: "text-right", isEmpty: (one) => !canRedeliver(one), cell: (one) => <Redeliver callback={one} /> },
  ];
  return (
    <>
      <DataTable label="Deliveries" columns={columns} rows={callbacks} rowKey={(one) => one.id} rowClass={(one) => (one.state === "dead" ? "bg-bad/5" : "")} />
      {opened !== null && <DeliveryDialog id={opened} onClose={() => setOpened(null)} />}
    </>
  );
}

const answerOf = ({ last_status, last_error }: Callback): string | null => last_error ?? (last_status === null ? null : String(last_status));

function Answer({ callback }: { callback: Callback }) {
  const { state, last_status, last_error } = callback;
  const hasFailed = last_error !== null && state !== "delivered";
  return <span className={`block max-w-80 text-xs wrap-anywhere ${hasFailed ? (state === "dead" ? "text-bad" : "text-warn") : "text-quiet"}`}>{last_error ?? last_status ?? "–"}</span>;
}

/** For who may; a delivered one too, where its receiver has lost it. */
export function Redeliver({ callback }: { callback: Callback }) {
  const cache = useQueryClient();
  const mayChange = useMayChange();
  const again = useMutation({
    mutationFn: () => redeliver(callback.id),
    onSettled: () => cache.invalidateQueries({ queryKey: callbackKeys.all }),
  });
  if (!mayChange || !canRedeliver(callback)) return null;
  return (
    <span className="inline-flex flex-wrap items-center justify-end gap-2">
      {again.error && <span role="alert" className="text-xs text-bad">{again.error.message}</span>}
      <Button disabled={again.isPending} aria-label={`Redeliver ${callback.id}`} onClick={() => again.mutate()}>{again.isPending ? "Sending…" : "Redeliver"}</Button>
    </span>
  );
}
