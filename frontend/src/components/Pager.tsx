import { Button } from "./ui/Button";

interface Props {
  /** Where the page that is shown begins; undefined: with the newest. */
  cursor: string | undefined;
  /** Where the next one begins, if there is one. */
  next: string | null | undefined;
  onGo: (cursor: string | undefined) => void;
  className?: string;
}

/** The way through a list that comes in pages. */
export function Pager({ cursor, next, onGo, className = "justify-end" }: Props) {
  return (
    <div className={`mt-4 flex gap-2 ${className}`}>
      {cursor !== undefined && <Button onClick={() => onGo(undefined)}>Newest</Button>}
      {next && <Button onClick={() => onGo(next)}>Older</Button>}
    </div>
  );
}
