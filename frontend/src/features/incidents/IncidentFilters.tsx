import type { Camera } from "../../api/cameras";
import { CATEGORIES } from "../../api/incidents";
import { CameraChoice, Choice, DayField, FilterBar } from "../../components/FilterBar";
import { INCIDENT_STATES } from "../../components/StateBadge";
import { TextFilter } from "../../components/TextFilter";
import { Button } from "../../components/ui/Button";
import { title } from "../../lib/format";
import { type IncidentSearch, isFiltered } from "./incidents.model";

const SEVERITIES = ["1", "2", "3", "4"] as const;

interface Props {
  search: IncidentSearch;
  cameras: Camera[];
  onChange: (changed: Partial<IncidentSearch>) => void;
}

/** What the list of incidents is narrowed by. */
export function IncidentFilters({ search, cameras, onChange }: Props) {
  return (
    <FilterBar label="Filter incidents">
      <CameraChoice cameras={cameras} value={search.camera_id} onChange={(camera_id) => onChange({ camera_id })} />
      <Choice label="Category" any="Every category" value={search.category} onChange={(category) => onChange({ category })}
        options={CATEGORIES.map((category) => [category, title(category)])} />
      <Choice label="Severity" any="Any severity" value={SEVERITIES.find((one) => one === String(search.severity))}
        onChange={(least) => onChange({ severity: least === undefined ? undefined : Number(least) })}
        options={SEVERITIES.map((least) => [least, least === "4" ? "Severity 4" : `Severity ${least} and up`])} />
      <Choice label="State" any="Every state" value={search.state} onChange={(state) => onChange({ state })}
        options={INCIDENT_STATES.map((state) => [state, title(state)])} />
      <DayField label="From" value={search.since} max={search.until} onChange={(since) => onChange({ since })} />
      <DayField label="to" value={search.until} onChange={(until) => onChange({ until })} />
      <TextFilter label="Text in the evidence" value={search.text ?? ""} className="max-sm:col-span-2 sm:!w-52" onChange={(text) => onChange({ text: text || undefined })} />
      {isFiltered(search) && (
        <Button look="quiet" icon="close" onClick={() => onChange({
          camera_id: undefined, category: undefined, severity: undefined, state: undefined, since: undefined, until: undefined, text: undefined,
        })}>
          Clear
        </Button>
      )}
    </FilterBar>
  );
}
