import { importX } from "eslint-plugin-import-x";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

// Imports go one way: routes -> features -> (api | player | components) -> lib; no feature imports another.
const features = ["cameras", "jobs", "workers"];
const above = (target, from) => ({ target: `./src/${target}`, from: from.map((name) => `./src/${name}`) });
const zones = [
  above("lib", ["routes", "features", "api", "player", "components"]),
  above("api", ["routes", "features", "player", "components"]),
  above("player", ["routes", "features", "api", "components"]),
  above("components", ["routes", "features", "player"]),
  above("features", ["routes"]),
  ...features.map((own) => above(`features/${own}`, features.filter((f) => f !== own).map((f) => `features/${f}`))),
];

export default tseslint.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts", "eslint.config.js"] },
  ...tseslint.configs.strictTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  {
    plugins: { "import-x": importX, "react-hooks": reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      "import-x/no-restricted-paths": ["error", { zones, basePath: import.meta.dirname }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/only-throw-error": "off", // the router's redirect is thrown
    },
  },
);
