import { useEffect, useEffectEvent } from "react";

import { type Action, actionOf } from "./incidents.model";

/** Where keys are somebody else's. */
const TAKEN = "input, textarea, select, video, dialog, [contenteditable], [role=slider]";

/** Keys of the whole page, but for where something is typed or played. */
export function useKeys(act: (action: Action) => void): void {
  const onAction = useEffectEvent(act);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const action = actionOf(event);
      if (action === null || event.defaultPrevented || (event.target as Element).closest(TAKEN)) return;
      if (event.repeat && action !== "next" && action !== "previous") return;
      event.preventDefault();
      onAction(action);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
