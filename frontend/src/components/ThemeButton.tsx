import { useState } from "react";

import { applyTheme, storedTheme, type Theme, THEMES } from "./theme";
import { Button } from "./ui/Button";
import type { IconName } from "./ui/Icon";

const ICONS: Record<Theme, IconName> = { system: "screen", light: "sun", dark: "moon" };

/** Goes from the system's theme to light to dark and round again. */
export function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  return (
    <Button look="quiet" icon={ICONS[theme]} aria-label={`Theme: ${theme}. Change to ${next}.`} title={`Theme: ${theme}`}
      onClick={() => {
        applyTheme(next);
        setTheme(next);
      }} />
  );
}
