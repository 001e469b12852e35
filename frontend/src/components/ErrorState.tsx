import { sentence } from "../lib/format";
import { EmptyState } from "./EmptyState";
import { Button } from "./ui/Button";

/** What stands where something could not be loaded: the server's own sentence, and a way to try again. */
export function ErrorState({ error, onRetry }: { error: Error; onRetry: () => void }) {
  return (
    <div role="alert">
      <EmptyState icon="alert" title="This could not be loaded">
        <p>{sentence(error.message)}</p>
        <Button onClick={onRetry}>Try again</Button>
      </EmptyState>
    </div>
  );
}
