import { Link } from "@tanstack/react-router";
import { Fragment } from "react";

import type { Camera } from "../../api/cameras";
import { type Backend, testBackend } from "../../api/scene";
import { BACKEND_NAMES, whereTo } from "../../components/backends.model";
import { Card } from "../../components/Card";
import { type Fact, Facts } from "../../components/Facts";
import { TestResult } from "../../components/TestResult";
import type { TestAnswer } from "../../components/trials.model";
import { TrialState } from "../../components/TrialState";
import { Badge } from "../../components/ui/Badge";
import { Button } from "../../components/ui/Button";
import { Icon } from "../../components/ui/Icon";
import { useMayChange } from "../../components/useMayChange";
import { useTrial } from "../../components/useTrial";
import { dateTimeIn } from "../../lib/zone";
import { priceOf } from "./models.model";

/** One who understands archives: whether it is set up, where footage goes for it, how it does. */
export function BackendCard({ backend, cameras, zone }: { backend: Backend; cameras: Camera[]; zone: string }) {
  const mayChange = useMayChange();
  const name = BACKEND_NAMES[backend.name];
  const trial = useTrial(() => testBackend(backend.name));
  const isModel = backend.name !== "local";
  const rows: Fact[] = [
    ["Model", backend.model ?? (isModel ? "–" : "none: motion, objects and rules")],
    ["Footage", <Footage key="footage" backend={backend} />],
    ["Price", priceOf(backend) ?? "nothing"],
    ["Fallback", backend.fallback.length > 0 ? backend.fallback.map((other) => BACKEND_NAMES[other]).join(", then ") : isModel ? "none: archives wait for it" : "not needed"],
    ["Cameras", <Cameras key="cameras" ids={backend.cameras} cameras={cameras} />],
  ];
  return (
    <Card title={name}
      beside={
        <span className="flex flex-wrap gap-1.5">
          {backend.is_default && <Badge tone="info" title="For cameras that choose none">default</Badge>}
          <Badge tone={backend.configured ? "good" : "quiet"}>{backend.configured ? "set up" : "not set up"}</Badge>
        </span>
      }>
      <div className="space-y-4">
        {backend.missing && <p className="flex gap-2 text-sm text-warn"><Icon name="alert" className="mt-0.5 size-4" />{`${backend.missing}.`}</p>}
        {backend.breaker && <Breaker breaker={backend.breaker} zone={zone} />}
        <Facts rows={rows} />
        {isModel && mayChange && (
          <div className="space-y-3 border-t border-line pt-4">
            <div className="flex flex-wrap items-center gap-3">
              <Button disabled={trial.isRunning} aria-label={`Test ${name}`} onClick={() => trial.run(undefined)}>{trial.isRunning ? "Testing…" : "Test"}</Button>
              <span className="text-xs text-quiet">Shows it four seconds of the demo scene.</span>
            </div>
            <TrialState {...trial}>{(result) => <TestResult answer={result as TestAnswer} />}</TrialState>
          </div>
        )}
      </div>
    </Card>
  );
}

function Footage({ backend }: { backend: Backend }) {
  // a host's name is long: it may break after its dots
  const parts = whereTo(backend).replace(/^footage /, "").split(/(?<=\.)/);
  return <span className={backend.leaves_machine ? "font-medium text-info" : ""}>{parts.map((part, n) => <Fragment key={n}>{part}<wbr /></Fragment>)}</span>;
}

function Breaker({ breaker, zone }: { breaker: NonNullable<Backend["breaker"]>; zone: string }) {
  return (
    <div className={`rounded-md border p-3 text-sm ${breaker.is_open ? "border-bad/25 bg-bad/10" : "border-warn/25 bg-warn/10"}`}>
      <p className={`font-medium ${breaker.is_open ? "text-bad" : "text-warn"}`}>
        {breaker.is_open && breaker.open_until !== null ? `Not asked until ${dateTimeIn(zone, breaker.open_until)}` : "Failed of late"}
      </p>
      <p className="mt-1 wrap-anywhere">{breaker.reason}</p>
    </div>
  );
}

function Cameras({ ids, cameras }: { ids: string[]; cameras: Camera[] }) {
  if (ids.length === 0) return <>none</>;
  return (
    <span className="flex flex-wrap gap-x-3 gap-y-0.5">
      {ids.map((id) => (
        <Link key={id} to="/cameras/$id" params={{ id }} className="text-accent hover:underline">{cameras.find((camera) => camera.id === id)?.name ?? id}</Link>
      ))}
    </span>
  );
}
