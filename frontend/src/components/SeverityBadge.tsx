import { severityTone, title } from "../lib/format";
import { Badge } from "./ui/Badge";

/** What kind of incident, in the colour of how bad it is. */
export const SeverityBadge = ({ category, severity }: { category: string; severity: number }) => (
  <Badge tone={severityTone(severity)} title={`severity ${severity} of 4`}>{title(category)}</Badge>
);
