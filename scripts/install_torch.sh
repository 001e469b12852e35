#!/bin/sh
# Installs torch before everything else, so that its build can be chosen and its size is known first.
set -e
pip=$1
version=$(sed -n 's/^torch==//p' requirements.txt)
vision=$(sed -n 's/^torchvision==//p' requirements.txt)
echo "Installing torch $version and torchvision $vision: about 200 MB to download for a CPU build,"
echo "several GB for the CUDA build that Linux gets by default. For the CPU build set TORCH_INDEX_URL"
echo "to the CPU index named on PyTorch's 'Get started' page, then run make again."
if [ -n "$TORCH_INDEX_URL" ]; then
    "$pip" install --quiet --index-url "$TORCH_INDEX_URL" "torch==$version" "torchvision==$vision"
else
    "$pip" install --quiet "torch==$version"
    "$pip" install --quiet "torchvision==$vision"
fi
