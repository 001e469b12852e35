/** The light build leaves out subtitles, other audio tracks and DRM; the package gives it no types of its own. */
declare module "hls.js/light" {
  import Hls from "hls.js";

  export default Hls;
}
